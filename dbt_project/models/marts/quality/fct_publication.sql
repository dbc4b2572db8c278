-- How fresh what is published was: per night that ran and entity of a source, its newest load and date, and whether the
-- date lies within the limit of the entity's freshness rule. What became of the rows is in fct_data_quality.
with freshness as (

    select * from {{ source('pipeline', 'source_freshness') }}

),

nights as (

    select * from {{ ref('fct_nights') }}

),

quality as (

    select * from {{ ref('fct_data_quality') }}

),

aged as (

    select
        freshness.*,
        -- A source may date a row a day or two ahead of the night.
        greatest({{ days_between('freshness.newest_date', 'freshness.as_of_date') }}, 0) as age_days
    from freshness
    inner join nights
        on freshness.as_of_date = nights.as_of_date

)

select
    aged.as_of_date,
    aged.source,
    aged.entity,
    aged.source_label_en,
    aged.source_label_zh,
    aged.newest_load_id,
    aged.newest_load_at,
    aged.newest_date,
    case when aged.newest_date is not null then cast(aged.age_days as integer) end as age_days,
    aged.max_age_days,
    coalesce(quality.rows_in, 0) as rows_in,
    case
        when aged.newest_load_id is null then 'empty'
        when aged.max_age_days is null then 'unchecked'
        when aged.newest_date is not null and aged.age_days <= aged.max_age_days then 'ok'
        else 'stale'
    end as status
from aged
left join quality
    on
        aged.as_of_date = quality.as_of_date
        and aged.source = quality.source
        and aged.entity = quality.entity
