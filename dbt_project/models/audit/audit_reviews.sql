-- What accepted reviews say about the sampled customers, read without staging: the last review up to the audited night.
-- Of a customer's ids that were reviewed on the same day the first one holds.
with sampled as (

    select distinct
        ids.source,
        ids.source_customer_id,
        ids.customer_id,
        customers.as_of_date
    from {{ ref('int_customer_ids') }} as ids
    inner join {{ ref('audit_customers') }} as customers
        on ids.customer_id = customers.customer_id

),

in_time as (

    select
        sampled.customer_id,
        sampled.as_of_date,
        sheet.customer_id as source_customer_id,
        sheet._load_id,
        sheet._row_number,
        sheet.reviewed_on,
        sheet.industry_rank,
        sheet.industry_growth,
        sheet.size_growth,
        sheet.demand_match,
        sheet.strategic_level,
        sheet.assets,
        sheet.industry_fit,
        sheet.digital_demand
    from {{ source('input_layer', 'strategic_attributes') }} as sheet
    inner join sampled
        on
            sheet.customer_source = sampled.source
            and sheet.customer_id = sampled.source_customer_id
    where
        not sheet._is_merged
        and sheet.reviewed_on <= sampled.as_of_date
        and not coalesce(sheet._is_deleted, false)
        and not exists (
            select 1
            from {{ source('input_layer', 'strategic_attributes') }} as gone
            where
                gone.source = sheet.source
                and gone.customer_id = sheet.customer_id
                and gone.reviewed_on = sheet.reviewed_on
                and gone._load_id > sheet._load_id
                and gone._is_deleted
        )

)

select
    this.customer_id,
    this.as_of_date,
    this.industry_rank,
    this.industry_growth,
    this.size_growth,
    this.demand_match,
    this.assets,
    this.industry_fit,
    this.digital_demand,
    this.strategic_level
from in_time as this
where not exists (
    select 1
    from in_time as better
    where
        better.customer_id = this.customer_id
        and (
            better.reviewed_on > this.reviewed_on
            or (better.reviewed_on = this.reviewed_on and better.source_customer_id < this.source_customer_id)
            or (
                better.reviewed_on = this.reviewed_on
                and better.source_customer_id = this.source_customer_id
                and (better._load_id, better._row_number) > (this._load_id, this._row_number)
            )
        )
)
