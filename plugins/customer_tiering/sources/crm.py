"""CRM: a folder of exports, one CSV per entity and export day, and one Excel sheet."""

from customer_tiering.sources.base import Entity, Source

SOURCE = Source(
    name="crm",
    label_en="CRM",
    label_zh="客户关系管理系统",
    entities=(
        Entity(
            name="owners",
            files="owners-*.csv",
            key=("owner_id",),
            version="modified_at",
            columns=("owner_id", "owner_name", "email", "team", "modified_at"),
            pii={"email": "email"},
        ),
        Entity(
            name="accounts",
            files="accounts-*.csv",
            key=("account_id",),
            version="modified_at",
            columns=(
                "account_id", "account_name", "erp_customer_code", "tax_id", "industry", "company_size",
                "employees", "region", "owner_id", "phone", "email", "created_at", "modified_at", "is_deleted",
            ),
            pii={"phone": "phone", "email": "email"},
        ),
        Entity(
            name="contacts",
            files="contacts-*.csv",
            key=("contact_id",),
            version="modified_at",
            columns=(
                "contact_id", "account_id", "contact_name", "title", "phone", "email", "is_primary",
                "created_at", "modified_at",
            ),
            pii={"contact_name": "name", "phone": "phone", "email": "email"},
        ),
        Entity(
            name="opportunities",
            files="opportunities-*.csv",
            key=("opportunity_id",),
            version="modified_at",
            columns=(
                "opportunity_id", "account_id", "name", "stage", "budget", "industry_fit", "company_size",
                "has_decision_maker", "cooperation_depth", "created_at", "closed_at", "modified_at",
            ),
        ),
        Entity(
            name="interactions",
            files="interactions-*.csv",
            key=("interaction_id",),
            version="occurred_at",
            columns=("interaction_id", "account_id", "kind", "participated", "contact_phone", "occurred_at"),
            pii={"contact_phone": "phone"},
        ),
        Entity(
            name="surveys",
            files="surveys-*.csv",
            key=("survey_id",),
            version="answered_at",
            columns=("survey_id", "account_id", "kind", "score", "answered_at"),
        ),
        Entity(
            name="strategic_attributes",
            files="strategic_attributes.xlsx",
            format="excel",
            sheet="strategic",
            key=("account_id",),
            version="updated_on",
            columns=(
                "account_id", "industry_rank", "industry_growth", "size_growth", "demand_match", "brand_synergy",
                "policy_support", "key_industry", "strategic_level", "benchmark", "competitor_share", "updated_on",
            ),
        ),
    ),
)
