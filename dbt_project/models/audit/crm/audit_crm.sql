-- What the CRM's raw review sheet says about the sampled customers, read without staging: the last review up to the
-- audited night. Of a customer's accounts that were reviewed on the same day the first by number holds.
with sampled as (

    {{ sampled_ids('crm', per_night=true) }}

),

reviews as (

    select
        sampled.customer_id,
        sampled.as_of_date,
        sheet.account_id,
        sheet._load_id,
        sheet._row_number,
        {{ parse_date('sheet.updated_on') }} as reviewed_on,
        try_cast(sheet.industry_rank as integer) as industry_rank,
        {{ parse_rate('sheet.industry_growth') }} as industry_growth,
        {{ parse_rate('sheet.size_growth') }} as size_growth,
        {{ parse_rate('sheet.demand_match') }} as demand_match,
        sheet.strategic_level,
        {{ parse_money('sheet.assets') }} as assets,
        {{ parse_rate('sheet.industry_fit') }} as industry_fit,
        {{ parse_rate('sheet.digital_demand') }} as digital_demand
    from {{ source('crm', 'strategic_attributes') }} as sheet
    inner join sampled
        on sheet.account_id = sampled.source_customer_id
    where not sheet._is_merged

),

in_time as (

    select * from reviews
    where reviewed_on <= as_of_date

)

select
    this.customer_id,
    this.as_of_date,
    this.industry_rank,
    this.industry_growth,
    this.size_growth,
    this.demand_match,
    this.strategic_level,
    this.assets,
    this.industry_fit,
    this.digital_demand
from in_time as this
where not exists (
    select 1
    from in_time as better
    where
        better.customer_id = this.customer_id
        and (
            better.reviewed_on > this.reviewed_on
            or (better.reviewed_on = this.reviewed_on and better.account_id < this.account_id)
            or (
                better.reviewed_on = this.reviewed_on
                and better.account_id = this.account_id
                and (better._load_id, better._row_number) > (this._load_id, this._row_number)
            )
        )
)
